"""The modules of the fuzz stand beside this file."""
