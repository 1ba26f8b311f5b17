"""The application: data, views, figures, exports and pages of the dashboard. Never imports torch or transformers."""
