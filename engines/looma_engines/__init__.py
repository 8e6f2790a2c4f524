"""The AI engines, one package each."""
