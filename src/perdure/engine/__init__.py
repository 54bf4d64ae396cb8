"""Runs a task hub: owns partitions, advances instances, commits what they decide."""
