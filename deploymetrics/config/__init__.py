"""The settings, and the instance folder that has them."""
