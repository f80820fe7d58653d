"""DeploymentMetricsCollectorTask: the sources are asked, and what they find becomes the document ``platform``."""
