"""Load through the HTTP door: open-loop generators, growth and soak."""
