"""Pairwise battles between models: answers side by side, a judge, Bradley-Terry ratings, a page."""
