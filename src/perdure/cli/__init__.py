"""The command line. Commands parse and print; what they do lives below."""
