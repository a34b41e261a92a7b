"""Trains Continuo's default model: from a folder of note events to the file that ships."""
