"""Quality Fabric's client under the name that the integration guide uses in a checkout."""

from execution_platform.quality_fabric import (
    QualityFabricClient,
    QualityGateReport,
    TestResult,
    TestSuite,
)

__all__ = ["QualityFabricClient", "QualityGateReport", "TestResult", "TestSuite"]
