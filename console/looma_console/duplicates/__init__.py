"""People who may be there twice: listed, side by side with the reasons, merged, dismissed, taken apart."""
