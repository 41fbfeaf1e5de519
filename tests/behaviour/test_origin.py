"""The scripted origin itself, against an independent client: what the other suites count on must hold."""

import threading
import unittest

from harness import Case
from origin import BUCKET, Origin, object_name

try:
    import boto3
    import botocore.config
    import botocore.exceptions
except ImportError:
    boto3 = None


class ScriptedOrigin(Case):
    def setUp(self):
        if boto3 is None:
            raise unittest.SkipTest("needs python3-boto3")
        self.origin = Origin()
        self.addCleanup(self.origin.stop)
        config = botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1, "mode": "standard"})
        self.s3 = boto3.client(
            "s3", endpoint_url=self.origin.endpoint, aws_access_key_id="k", aws_secret_access_key="s",
            region_name="us-east-1", config=config,
        )
        self.addCleanup(self.s3.close)

    def test_objects(self):
        key = object_name("LAILA:a/b é%")
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=b"body", ContentType="x/y")
        self.assertEqual(self.origin.get(key), b"body")
        answer = self.s3.get_object(Bucket=BUCKET, Key=key)
        self.assertEqual((answer["Body"].read(), answer["ContentType"]), (b"body", "x/y"))
        self.assertEqual(self.s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=1-2")["Body"].read(), b"od")
        self.assertEqual(self.s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"], 4)
        self.assertEqual([self.origin.count(method, key) for method in ("PUT", "GET", "HEAD")], [1, 2, 1])
        self.s3.delete_object(Bucket=BUCKET, Key=key)
        with self.assertRaises(self.s3.exceptions.NoSuchKey):
            self.s3.get_object(Bucket=BUCKET, Key=key)

    def test_listing(self):
        keys = sorted(f"k{number:02d}%" for number in range(25))
        for key in keys:
            self.origin.put(key, b"x")
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 7})
        self.assertEqual([item["Key"] for page in pages for item in page["Contents"]], keys)

    def test_scripts(self):
        self.origin.put("x", b"y" * 1000)
        self.origin.fail("x", 403, "AccessDenied")
        with self.assertRaises(botocore.exceptions.ClientError) as failed:
            self.s3.get_object(Bucket=BUCKET, Key="x")
        self.assertEqual(failed.exception.response["Error"]["Code"], "AccessDenied")
        self.origin.cut("x", 100)
        with self.assertRaises(botocore.exceptions.BotoCoreError):
            self.s3.get_object(Bucket=BUCKET, Key="x")["Body"].read()
        gate = self.origin.hold("x")
        got = []
        reader = threading.Thread(target=lambda: got.append(self.s3.get_object(Bucket=BUCKET, Key="x")["Body"].read()))
        reader.start()
        gate.reached()
        self.assertEqual(got, [])
        gate.open()
        reader.join()
        self.assertEqual(got, [b"y" * 1000])

    def test_down_and_up(self):
        self.origin.put("x", b"y")
        self.s3.get_object(Bucket=BUCKET, Key="x")
        self.origin.stop()
        with self.assertRaises(botocore.exceptions.BotoCoreError):
            self.s3.get_object(Bucket=BUCKET, Key="x")
        self.origin.resume()
        self.assertEqual(self.s3.get_object(Bucket=BUCKET, Key="x")["Body"].read(), b"y")
