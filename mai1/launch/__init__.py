"""Files and commands that start a run elsewhere: Slurm, Kubernetes, Ray, SkyPilot, Azure ML."""
