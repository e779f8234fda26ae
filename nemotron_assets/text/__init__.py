"""What several stages need to know of a text: its language, personal data in it, numbers about it, its tokens."""
