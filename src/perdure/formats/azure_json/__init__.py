"""The out-of-process protocol of Functions workers: JSON contexts and answers, both sides of it."""
