"""What views are made of: knows no view, no window and no run."""
