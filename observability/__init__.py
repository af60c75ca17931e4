"""Monitoring: rules and scrape configurations for Prometheus, dashboards for Grafana."""
