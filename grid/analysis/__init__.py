"""What the trials say. Pure: tables in, values out."""
