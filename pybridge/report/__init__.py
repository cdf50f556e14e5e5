"""What a run leaves for people to look at."""

from pybridge.report.content import Prediction, ReportData, thumbnail
from pybridge.report.metrics import Metrics, metrics_from_confusion
from pybridge.report.run_page import render, write_report

__all__ = ["Metrics", "Prediction", "ReportData", "metrics_from_confusion", "render", "thumbnail", "write_report"]
