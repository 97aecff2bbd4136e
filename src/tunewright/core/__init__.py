"""The words of the house: types, errors, task, bundle, plugins, run. Imports nothing else of the package."""
