"""Features of the hosted scheduler that are not public yet."""
