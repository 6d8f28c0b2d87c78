"""Backup and restore: one file with the database and all files, made while everything runs.

The database first, then the files: contents are only ever added, so every one that the database knows is there by then,
except what was erased meanwhile. A backup is a plain tar: `tar -xf FILE && sha256sum -c SHA256SUMS` looks it through.
"""
