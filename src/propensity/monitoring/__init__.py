"""Whether a program still does what it was trained, assessed and planned to do. No input or output happens here."""
