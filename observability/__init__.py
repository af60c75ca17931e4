"""What watches the service: rules and scrape configurations for Prometheus, dashboards for Grafana."""
