"""How it does: health for supervisors, figures for Prometheus, and the status page for people."""
