"""Test results, judged by quality gates; without a server they are in a file of the user's."""

import asyncio

from execution_platform.quality_fabric import QualityFabricClient, TestResult, TestSuite


async def main() -> None:
    client = QualityFabricClient(project="examples")
    for failing in (0, 2):
        results = tuple(
            TestResult(
                name=f"test_{number}",
                status="failed" if number < failing else "passed",
                duration_ms=10.0 + number,
            )
            for number in range(20)
        )
        suite = TestSuite(name="nightly", results=results)
        await client.submit_test_suite(suite)
        report = await client.check_quality_gates(suite.id)
        print(f"{failing} failing: {'passed' if report.passed else 'FAILED'}")
        for gate in report.gates:
            print("  pass" if gate.passed else "  FAIL", gate.detail)


if __name__ == "__main__":
    asyncio.run(main())
