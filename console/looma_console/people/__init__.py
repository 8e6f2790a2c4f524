"""For recruiters: the list of people, and one person beside the original text."""
