"""What a portable worker is made of; its public names are in durabletask.worker."""
