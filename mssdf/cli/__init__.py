"""Shared parts of the command lines: configs, arguments, processes and their end."""
