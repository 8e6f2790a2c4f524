"""Uploading résumés and handing their files back."""
