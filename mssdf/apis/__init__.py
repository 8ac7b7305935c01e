"""What the command lines, and a Python user, call."""
