"""`perdure init`, `new`, `templates`: the files of an app (cli.md §4, §5)."""
