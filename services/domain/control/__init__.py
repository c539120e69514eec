"""The sequencer, decided: what commands, announcements, results and outcomes do to a space, and in which order.

Pure, like all of `services.domain`. `services.control` drives `ControlShard` through the fold loop.
"""
