"""The taxonomy of skills: its tree, one skill with who has it, making and changing one."""
