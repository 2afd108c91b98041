"""Packaging: three packages, their data, and the ranges that they run with."""

from setuptools import find_packages, setup

setup(
    name="trailcanary",
    version="0.1.0",
    description="Tells a security team whether its AWS audit log has gone blind",
    python_requires=">=3.11",
    packages=find_packages(include=["schemas*", "transforms*", "pipeline*"]),
    package_data={"transforms": ["rules/**/*.yml"], "pipeline": ["views.sql"]},
    install_requires=[
        "apache-beam>=2.77,<2.78",
        "pyarrow>=25,<26",
        "boto3>=1.40,<2",
        "cryptography>=44,<51",
        "duckdb>=2,<3",
        "fastavro>=1.10,<2",
        "google-re2>=1.1,<2",
        "isal>=1.7,<2",
        "msgspec>=0.20,<0.23",
        "numpy>=2,<3",
        "orjson>=3.11,<4",
        "prometheus-client>=0.22,<0.27",
        "pysigma>=2.0,<3",
        "pyyaml>=6,<7",
        "rich>=14,<16",
    ],
    extras_require={
        "dev": [
            "awscli>=1.46,<1.47",
            "build>=1.2,<2",
            "boto3-stubs[s3,sqs]>=1.40,<2",
            "hypothesis>=6.130,<7",
            "moto[s3,server,sqs]>=5.1,<6",
            "mypy>=2,<3",
            "pip-tools>=7.4,<8",
            "pytest>=8.4,<10",
            "pytest-xdist>=3.6,<4",
            "ruff>=0.14,<0.18",
            "types-pyyaml>=6,<7",
        ],
        "gcp": ["apache-beam[gcp]>=2.77,<2.78"],
    },
    entry_points={"console_scripts": ["trailcanary=pipeline.__main__:main"]},
)
