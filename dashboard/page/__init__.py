"""What surrounds every page: frame, introduction and export menu."""
