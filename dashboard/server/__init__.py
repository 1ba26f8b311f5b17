"""The web server: sign-in, guard, static files, metrics, memory."""
