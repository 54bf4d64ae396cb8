"""`perdure durable …`: instances and entities of a hub, in the words of Core Tools (cli.md §2)."""
