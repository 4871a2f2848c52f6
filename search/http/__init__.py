"""The JSON API: routes, requests, answers, problems, its description, health and metrics."""
