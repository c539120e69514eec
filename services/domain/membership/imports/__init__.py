"""Imports among themselves, and what is kept of them between their opening and their application."""
