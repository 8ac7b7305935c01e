"""Files, texts and rules that every part of the library uses."""
