"""The alarms of the scheduled run: on errors, and on runs that are missing. Pure.

Lambda counts errors, which include time-outs. To notice runs that do not happen, a metric filter
counts the last log line of each complete run, and missing data triggers the alarm.
"""

from __future__ import annotations

from typing import Any

Resource = dict[str, Any]

#: The alarm goes off if no ``tidy`` was complete for this many intervals. A run that gives way to
#: another run is not complete.
MISSED_RUNS = 4

#: The alarm goes off if no daily run was complete for this many hours.
DAILY_HOURS = 26


def ref(name: str) -> dict[str, Any]:
    return {"Ref": name}


def get(name: str, attribute: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [name, attribute]}


def sub(text: str) -> dict[str, Any]:
    return {"Fn::Sub": text}


def build(commands: tuple[str, ...], every: int) -> dict[str, Resource]:
    """The alarms and the metrics that they need. ``every``: minutes between two runs of tidy."""
    found = {"ErrorsAlarm": _on_errors()}
    for command in commands:
        name = command.capitalize()
        found[f"{name}Runs"] = _runs(command)
        if command == "tidy":
            minutes, periods = every * MISSED_RUNS, 1
        else:
            minutes, periods = 60, DAILY_HOURS
        found[f"{name}MissingAlarm"] = _on_missing(command, minutes * 60, periods)
    return found


def _metric(command: str) -> dict[str, Any]:
    return {
        "MetricNamespace": sub("AutoShutdown/${AWS::StackName}"),
        "MetricName": f"{command.capitalize()}Runs",
    }


def _runs(command: str) -> Resource:
    pattern = f'{{ ($.auto_shutdown_run = "{command}") && ($.outcome = "done") }}'
    return {
        "Type": "AWS::Logs::MetricFilter",
        "Properties": {
            "LogGroupName": ref("LogGroup"),
            "FilterPattern": pattern,
            "MetricTransformations": [{**_metric(command), "MetricValue": "1", "Unit": "Count"}],
        },
    }


def _on_missing(command: str, seconds: int, periods: int) -> Resource:
    metric = _metric(command)
    return _alarm(
        f"auto_shutdown: no complete run of domain {command}. See the function's log.",
        Namespace=metric["MetricNamespace"],
        MetricName=metric["MetricName"],
        Period=seconds,
        EvaluationPeriods=periods,
        DatapointsToAlarm=periods,
        Threshold=1,
        ComparisonOperator="LessThanThreshold",
        TreatMissingData="breaching",
    )


def _on_errors() -> Resource:
    return _alarm(
        "auto_shutdown: a scheduled run failed. The function's log has the reason and a remedy.",
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Dimensions=[{"Name": "FunctionName", "Value": ref("Function")}],
        Period=900,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )


def _alarm(description: str, **properties: Any) -> Resource:
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmDescription": description,
            "Statistic": "Sum",
            **properties,
            "AlarmActions": [ref("Topic")],
            "OKActions": [ref("Topic")],
        },
    }
