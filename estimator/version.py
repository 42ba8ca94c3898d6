"""The version, written once; packaging reads it here."""

VERSION = "0.1.0"
