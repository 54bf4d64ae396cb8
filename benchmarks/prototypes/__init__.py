"""Prototypes that decided something, kept runnable beside the decision that quotes them."""
