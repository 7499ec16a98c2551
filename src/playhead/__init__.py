"""Playhead: save a playing position on one device, resume on any other."""
