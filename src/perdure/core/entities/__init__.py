"""The entity's side: which operations run, how a batch runs, what is committed."""
