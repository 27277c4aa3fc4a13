"""Deploys callpacer to AWS: builds the package, deploys and audits the template, restores tables from a backup."""
