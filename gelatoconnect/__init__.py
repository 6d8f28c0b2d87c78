"""GelatoConnect: an open order-management system for print producers. This package wires the others together."""
