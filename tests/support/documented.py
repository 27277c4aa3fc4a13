"""The reference's command lines, word for word, and those that it describes in words only."""

#: the host in the reference's command lines
HOST = "https://scheduler.vxml.sharpencx.com"

#: the files that the command lines upload, by path
FILES = {
    "/C:/Users/jrobe/Desktop/api-test-1.csv": (
        b"tel:+12223334444; ani=7778889999\r\ntel:+14443332222; ani=9998887777, marchcampaign\r\n"
    ),
    "/C:/Users/My Account/Desktop/PhoneNumbers.csv": (
        b"\xef\xbb\xbfdestination,message_reference\r\n+12223334444,\r\n\r\n"
        b'"tel:+14443332222; ani=9998887777","march campaign"\r\n'
    ),
    "/C:/Users/My Account/Desktop/PhoneNumbers.txt": b"2223334444\n14443332222;ani=9998887777,march campaign",
}

#: each by the name of the file in `requests` that holds what curl sends for it
REFERENCE = {
    "create_schedule": r"""
curl --location --request POST 'https://scheduler.vxml.sharpencx.com/api/schedules' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812' \
--form 'days="[\"mon\", \"wed\", \"fri\"]"' \
--form 'nickname="3wkdays"'""",
    "get_schedules": r"""
curl --location --request GET 'https://scheduler.vxml.sharpencx.com/api/schedules' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812'""",
    "update_schedule": r"""
curl --location -g --request PATCH 'https://scheduler.vxml.sharpencx.com/api/schedules/15?days=["mon","wed"]' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812'""",
    "delete_schedule": r"""
curl --location --request DELETE 'https://scheduler.vxml.sharpencx.com/api/schedules/4' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812'""",
    "create_profile": r"""
curl --location --request POST 'https://scheduler.vxml.sharpencx.com/api/profiles' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812' \
--form 'period="30"' \
--form 'amount_per_period="100"' \
--form 'nickname="MorningPace"' \
--form 'time_between_periods="10"'""",
    "get_profiles": r"""
curl --location --request GET 'https://scheduler.vxml.sharpencx.com/api/profiles' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812'""",
    "update_profile": r"""
curl --location --request PATCH 'https://scheduler.vxml.sharpencx.com/api/profiles/17?period=31&amount_per_period=101&time_between_periods=11&nickname=30-100-10' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812'""",  # noqa: E501 # word for word
    "delete_profile": r"""
curl --location --request DELETE 'https://scheduler.vxml.sharpencx.com/api/profiles/7' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812'""",
    "create_campaign": r"""
curl --location --request POST 'https://scheduler.vxml.sharpencx.com/api/campaigns' \
--header 'Content-Type: application/json' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812' \
--form 'start_date="2022-01-01"' \
--form 'end_date="2022-01-05"' \
--form 'phone_numbers=@"/C:/Users/jrobe/Desktop/api-test-1.csv"' \
--form 'profiles="[{\"profile\":\"MorningPace\",\"start_time\":\"08:00\",\"end_time\":\"11:00\"}]"' \
--form 'schedule_id="6"' \
--form 'start_url="http://charles.plumgroup.com/~schan/src/charles/vxml/start.php"' \
--form 'result_url="http://myserver.com/storesmsresults.php"'""",
    "get_campaigns": r"""
curl --location --request GET 'https://scheduler.vxml.sharpencx.com/api/campaigns' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812'""",
    "start_campaign": r"""
curl --location --request POST 'https://scheduler.vxml.sharpencx.com/api/campaigns/start' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812' \
--form 'campaign_id="6"'""",
    "stop_campaign": r"""
curl --location --request POST 'https://scheduler.vxml.sharpencx.com/api/campaigns/stop' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812' \
--form 'campaign_id="2"'""",
    "add_calls": r"""
curl --location --request POST 'https://scheduler.vxml.sharpencx.com/api/campaigns/add-calls' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812' \
--form 'phone_numbers="[\"tel:+12223334444;ani=7778889999\",\"tel:+14443332222;ani=9998887777\"]"' \
--form 'campaign_id="2"'""",
    "update_campaign": r"""
curl --location -g --request PATCH 'https://scheduler.vxml.sharpencx.com/api/campaigns/26?schedule=11&start_date=2022-04-15&end_date=2022-04-30&profiles=[{"profile":"MorningPace","start_time":"08:00","end_time":"23:00"}]' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812'""",  # noqa: E501 # word for word
    "delete_campaign": r"""
curl --location --request DELETE 'https://scheduler.vxml.sharpencx.com/api/campaigns/11' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812'""",
}

#: What the reference describes in words only: PUT for PATCH, JSON, files, other content types, an update without an id.
VARIATIONS = {
    "create_schedule_json": r"""
curl --request POST 'https://scheduler.vxml.sharpencx.com/api/schedules' \
--header 'Content-Type: application/json' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812' \
--data '{"days": ["mon", "wed", "fri"], "nickname": "3wkdays"}'""",
    "create_schedule_urlencoded": r"""
curl --request POST 'https://scheduler.vxml.sharpencx.com/api/schedules' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812' \
--data-urlencode 'days=["mon", "wed", "fri"]' \
--data-urlencode 'nickname=3wkdays'""",
    "get_schedules_xml": r"""
curl --request GET 'https://scheduler.vxml.sharpencx.com/api/schedules' \
--header 'Content-Type: application/xml' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812'""",
    "update_schedule_encoded": r"""
curl --request PATCH 'https://scheduler.vxml.sharpencx.com/api/schedules/15?days=%5B%22mon%22%2C%22wed%22%5D' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812'""",
    "update_schedule_put": r"""
curl --location -g --request PUT 'https://scheduler.vxml.sharpencx.com/api/schedules/15?days=["mon","wed"]' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812'""",
    "update_schedule_form": r"""
curl --request PATCH 'https://scheduler.vxml.sharpencx.com/api/schedules/15' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812' \
--form 'days="[\"mon\",\"wed\"]"'""",
    "delete_schedule_in_use": r"""
curl --location --request DELETE 'https://scheduler.vxml.sharpencx.com/api/schedules/6' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812'""",
    "update_profile_put": r"""
curl --request PUT 'https://scheduler.vxml.sharpencx.com/api/profiles/17?period=31&amount_per_period=101&time_between_periods=11&nickname=30-100-10' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812'""",  # noqa: E501 # as the reference has it
    "delete_profile_in_use": r"""
curl --location --request DELETE 'https://scheduler.vxml.sharpencx.com/api/profiles/5' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812'""",
    "create_campaign_without_numbers": r"""
curl --request POST 'https://scheduler.vxml.sharpencx.com/api/campaigns' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812' \
--form 'start_date="2022-01-01"' \
--form 'end_date="2022-01-31"' \
--form 'profiles="[{\"profile\":\"MorningPace\", \"start_time\":\"08:00\", \"end_time\":\"11:00\"},{\"profile\":\"AfternoonPace\", \"start_time\":\"12:00\", \"end_time\":\"16:00\"}]"' \
--form 'schedule="3wkdays"' \
--form 'start_url="http://charles.plumgroup.com/~schan/src/charles/vxml/start.php"'""",  # noqa: E501 # as above
    "start_campaign_json": r"""
curl --request POST 'https://scheduler.vxml.sharpencx.com/api/campaigns/start' \
--header 'Content-Type: application/json' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812' \
--data '{"campaign_id": 6}'""",
    "add_calls_json": r"""
curl --request POST 'https://scheduler.vxml.sharpencx.com/api/campaigns/add-calls' \
--header 'Content-Type: application/json' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812' \
--data '{"campaign_id": 2, "phone_numbers":
["tel:+12223334444; ani=7778889999","tel:+14443332222; ani=9998887777, march campaign"]}'""",
    "add_calls_json_text": r"""
curl --request POST 'https://scheduler.vxml.sharpencx.com/api/campaigns/add-calls' \
--header 'Content-Type: application/json' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812' \
--data '{"campaign_id": "2", "phone_numbers":
"[\"tel:+12223334444; ani=7778889999\",\"tel:+14443332222; ani=9998887777, march campaign\"]"}'""",
    "add_calls_one_element": r"""
curl --request POST 'https://scheduler.vxml.sharpencx.com/api/campaigns/add-calls' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812' \
--form 'phone_numbers="[\"tel:+12223334444; ani=7778889999, tel:+14443332222; ani=9998887777, march campaign\"]"' \
--form 'campaign_id="2"'""",
    "add_calls_csv": r"""
curl --request POST 'https://scheduler.vxml.sharpencx.com/api/campaigns/add-calls' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812' \
--form 'phone_numbers=@"/C:/Users/My Account/Desktop/PhoneNumbers.csv"' \
--form 'campaign_id="2"'""",
    "add_calls_txt": r"""
curl --request POST 'https://scheduler.vxml.sharpencx.com/api/campaigns/add-calls' \
--header 'Content-Type: application/xml' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812' \
--form 'phone_numbers=@"/C:/Users/My Account/Desktop/PhoneNumbers.txt"' \
--form 'campaign_id="2"'""",
    "update_campaign_encoded": r"""
curl --request PUT 'https://scheduler.vxml.sharpencx.com/api/campaigns/26?schedule=11&start_date=2022-04-15&end_date=2022-04-30&profiles=%5B%7B%22profile%22%3A%22MorningPace%22%2C%22start_time%22%3A%2208%3A00%22%2C%22end_time%22%3A%2223%3A00%22%7D%5D' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812'""",  # noqa: E501 # as the reference has it
    "update_campaign_without_id": r"""
curl --request PATCH 'https://scheduler.vxml.sharpencx.com/api/campaigns?start_date=2022-04-15' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812'""",
    "update_campaign_with_empty_id": r"""
curl --request PUT 'https://scheduler.vxml.sharpencx.com/api/campaigns/?start_date=2022-04-15' \
--header 'Authorization: Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812'""",
}

ALL = REFERENCE | VARIATIONS
