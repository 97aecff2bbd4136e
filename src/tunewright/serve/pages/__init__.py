"""The pages: try a bundle by hand, read the API's documentation. Nothing on them comes from another host."""
