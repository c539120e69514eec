"""Audiences on one partition: lists as layers, compositions as algebra over them, and how both change in a step."""
