"""The real S3 server of a test run, and an independent client for it (boto3).

$LAILAD_TEST_S3 is "http://127.0.0.1:PORT ACCESS SECRET", what the scripts in tests/servers print after `ready`;
tests/run.sh sets it. Each Bucket is new, and gone again at the end.
"""

import os
import unittest
import uuid

from client import escape

try:
    import boto3
    import botocore.config
except ImportError:  # the tests that need it say so
    boto3 = None

REGION = "us-east-1"


def server():
    """(endpoint, access key, secret) of the real server, or a skipped test."""
    words = os.environ.get("LAILAD_TEST_S3", "").split()
    if len(words) != 3:
        raise unittest.SkipTest("needs a real S3 server: LAILAD_TEST_S3 is not set (tests/run.sh starts one)")
    if boto3 is None:
        raise unittest.SkipTest("needs python3-boto3")
    return words


class Bucket:
    def __init__(self):
        self.endpoint, self.access, self.secret = server()
        self.name = "lailad-" + uuid.uuid4().hex[:16]
        self.client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access,
            aws_secret_access_key=self.secret,
            region_name=REGION,
            config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 8}),
        )
        self.client.create_bucket(Bucket=self.name)

    def pool(self, nickname, more=""):
        """A [pools.X] table for this bucket; credentials literally."""
        return (
            f'[pools.{nickname}]\nkind = "s3"\nbucket = "{self.name}"\nendpoint = "{self.endpoint}"\n'
            f'region = "{REGION}"\naddressing = "path"\naccess_key_id = "{self.access}"\n'
            f'secret_access_key = "{self.secret}"\n{more}\n'
        )

    def options(self):
        """The same as the `config` member of POST /pools."""
        return {
            "bucket": self.name,
            "endpoint": self.endpoint,
            "region": REGION,
            "addressing": "path",
            "access_key_id": self.access,
            "secret_access_key": self.secret,
        }

    def secrets(self):
        """The tutorial's secrets.toml."""
        return (
            f'AWS_BUCKET_NAME = "{self.name}"\nAWS_ACCESS_KEY_ID = "{self.access}"\n'
            f'AWS_SECRET_ACCESS_KEY = "{self.secret}"\nAWS_REGION = "{REGION}"\n'
        )

    def keys(self):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return {item["Key"] for page in pages for item in page.get("Contents", [])}

    def get(self, entry_id):
        """(body, content type) of an entry's object."""
        answer = self.client.get_object(Bucket=self.name, Key=escape(entry_id))
        return answer["Body"].read(), answer["ContentType"]

    def put(self, entry_id, body, content_type="application/json"):
        self.client.put_object(Bucket=self.name, Key=escape(entry_id), Body=body, ContentType=content_type)

    def remove(self):
        for key in self.keys():
            self.client.delete_object(Bucket=self.name, Key=key)
        self.client.delete_bucket(Bucket=self.name)
        self.client.close()
