"""English-speaking people. Every name, company and address is made up; numbers are from ranges kept for fiction."""

from looma_engines.demo.person import Job, Person, School

PEOPLE = (
    Person(
        slug="maya-okafor",
        language="en",
        file_format="docx",
        name="Maya Okafor",
        headline="Senior Backend Engineer",
        email="maya.okafor@mail.example",
        phone="+44 20 7946 0142",
        place="London, United Kingdom",
        link="https://github.example/mayaokafor",
        summary=(
            "Backend engineer with nine years of building payment and booking services in Python and Go. "
            "Likes small services with clear contracts, boring databases and alerts that somebody reads."
        ),
        jobs=(
            Job(
                "Senior Backend Engineer",
                "Harbour Payments Ltd",
                "London",
                "Mar 2020 - Present",
                (
                    (
                        "Lead a team of five that moved the settlement service from a monolith to Kubernetes, with no "
                        "lost transaction in 14 months."
                    ),
                    (
                        "Cut the p99 latency of the authorisation API from 840 ms to 95 ms with PostgreSQL "
                        "partitioning and Redis."
                    ),
                    "Introduced contract tests between eleven services written in Python, Go and Java.",
                ),
            ),
            Job(
                "Backend Engineer",
                "Fernway Travel",
                "Leeds",
                "Sep 2016 - Feb 2020",
                (
                    "Built the seat allocation engine in Python and FastAPI, serving 2,000 requests per second.",
                    "Replaced nightly batch imports by Apache Kafka streams.",
                ),
            ),
            Job(
                "Software Developer",
                "Brindle & Stone",
                "Manchester",
                "Jul 2014 - Aug 2016",
                ("Maintained Django applications for councils and museums.",),
            ),
        ),
        schools=(School("University of Eastmoor", "BSc", "Computer Science", "2011 - 2014"),),
        skills=(
            "Python",
            "Go",
            "PostgreSQL",
            "Redis",
            "Apache Kafka",
            "Kubernetes",
            "Docker",
            "FastAPI",
            "gRPC",
        ),
        languages=("English", "Igbo"),
        certificates=("Certified Kubernetes Application Developer",),
    ),
    Person(
        slug="daniel-reyes",
        language="en",
        file_format="html",
        name="Daniel Reyes",
        headline="Machine Learning Engineer",
        email="daniel.reyes@post.example",
        phone="(212) 555-0147",
        place="New York, NY",
        summary=(
            "Machine learning engineer for search and ranking. Has taken six models from a notebook to production "
            "and retired two of them for a simpler rule."
        ),
        jobs=(
            Job(
                "Machine Learning Engineer",
                "Lantern Search Inc.",
                "New York, NY",
                "January 2021 - Present",
                (
                    (
                        "Own the ranking model for 40 million listings; raised NDCG@10 from 0.61 to 0.69 with LightGBM "
                        "and better negatives."
                    ),
                    "Serve embeddings with ONNX Runtime on CPU at 9 ms per query.",
                ),
            ),
            Job(
                "Data Scientist",
                "Cobalt Grocers",
                "Chicago, IL",
                "June 2017 - December 2020",
                (
                    "Forecast demand for 3,200 stores with Python, pandas and scikit-learn.",
                    "Ran A/B tests on substitutions and wrote the team's guide to reading them.",
                ),
            ),
        ),
        schools=(
            School("Lakeshore Institute of Technology", "MSc", "Statistics", "2015 - 2017"),
            School("Pinecrest College", "BA", "Mathematics", "2011 - 2015"),
        ),
        skills=(
            "Python",
            "PyTorch",
            "scikit-learn",
            "LightGBM",
            "pandas",
            "SQL",
            "Apache Spark",
            "Airflow",
            "Docker",
        ),
        languages=("English", "Spanish"),
    ),
    Person(
        slug="priya-raman",
        language="en",
        file_format="txt",
        name="Priya Raman",
        headline="Product Manager",
        email="priya.raman@mail.example",
        phone="+1 415-555-0132",
        place="San Francisco, CA",
        summary=(
            "Product manager for tools that recruiters and hiring managers use every day. Starts with interviews, "
            "ends with a number that moved."
        ),
        jobs=(
            Job(
                "Senior Product Manager",
                "Talentbridge Software",
                "San Francisco, CA",
                "Feb 2019 - Present",
                (
                    "Led the redesign of interview scheduling; time to first interview fell from 9 to 4 days.",
                    "Set the roadmap of three squads with OKRs and quarterly customer councils.",
                ),
            ),
            Job(
                "Product Manager",
                "Quill Documents",
                "Oakland, CA",
                "Aug 2015 - Jan 2019",
                (
                    "Launched electronic signatures in six countries.",
                    "Wrote SQL for every decision above $50,000.",
                ),
            ),
        ),
        schools=(
            School("Bayview University", "MBA", "Business Administration", "2013 - 2015"),
            School("Coimbatore Valley College", "BE", "Electronics", "2007 - 2011"),
        ),
        skills=(
            "Product Management",
            "Roadmapping",
            "User Research",
            "SQL",
            "Figma",
            "Jira",
            "A/B Testing",
            "Agile",
        ),
        languages=("English", "Tamil", "Hindi"),
        certificates=("Certified Scrum Product Owner",),
    ),
    Person(
        slug="tomasz-wolski",
        language="en",
        file_format="docx",
        name="Tomasz Wolski",
        headline="Site Reliability Engineer",
        email="t.wolski@post.example",
        phone="+44 20 7946 0177",
        place="Edinburgh, United Kingdom",
        summary="Keeps platforms up and the people who run them asleep at night. Writes the runbook first.",
        jobs=(
            Job(
                "Site Reliability Engineer",
                "Northlight Energy",
                "Edinburgh",
                "04/2018 - Present",
                (
                    "Run 14 Kubernetes clusters in three regions with Terraform, Helm and Argo CD.",
                    "Brought the error budget of the metering API back from -40% to +60% in two quarters.",
                    "On-call lead for a rota of eight; wrote 60 runbooks and deleted 200 alerts.",
                ),
            ),
            Job(
                "Systems Administrator",
                "Castle Broadcasting",
                "Glasgow",
                "09/2013 - 03/2018",
                (
                    "Looked after 300 Linux servers with Ansible.",
                    "Built monitoring on Prometheus and Grafana.",
                ),
            ),
        ),
        schools=(
            School("Technical University of Wroclaw Hills", "MEng", "Telecommunications", "2008 - 2013"),
        ),
        skills=(
            "Linux",
            "Kubernetes",
            "Terraform",
            "Ansible",
            "Prometheus",
            "Grafana",
            "Helm",
            "Bash",
            "Python",
            "AWS",
        ),
        languages=("English", "Polish"),
        certificates=("Certified Kubernetes Administrator",),
    ),
    Person(
        slug="hannah-lindqvist",
        language="en",
        file_format="html",
        name="Hannah Lindqvist",
        headline="UX Designer",
        email="hannah@lindqvist.example",
        phone="+46 70 174 06 05",
        place="Stockholm, Sweden",
        link="https://portfolio.example/hannah",
        summary=(
            "Designer of calm interfaces for people who are at work. Tests with eight users before the first "
            "pixel is final."
        ),
        jobs=(
            Job(
                "Senior UX Designer",
                "Aurora Health Systems",
                "Stockholm",
                "May 2019 - Present",
                (
                    "Designed the ward dashboard that 4,000 nurses use; task time fell by 31%.",
                    "Built the design system in Figma with tokens and accessibility notes for each component.",
                ),
            ),
            Job(
                "UX Designer",
                "Studio Kompass",
                "Gothenburg",
                "Aug 2014 - Apr 2019",
                ("Ran user research and usability tests for public transport apps.",),
            ),
        ),
        schools=(School("Malmo Coast School of Design", "MA", "Interaction Design", "2012 - 2014"),),
        skills=("Figma", "User Research", "Prototyping", "Accessibility", "HTML", "CSS", "Design Systems"),
        languages=("Swedish", "English", "German"),
    ),
    Person(
        slug="samuel-adeyemi",
        language="en",
        file_format="txt",
        name="Samuel Adeyemi",
        headline="Data Engineer",
        email="samuel.adeyemi@mail.example",
        phone="(646) 555-0119",
        place="Boston, MA",
        summary="Builds pipelines that can be run twice. Believes in schemas, tests and deleting columns.",
        jobs=(
            Job(
                "Lead Data Engineer",
                "Meridian Insurance Group",
                "Boston, MA",
                "Oct 2019 - Present",
                (
                    "Moved 12 TB of policy data from Oracle to PostgreSQL and Snowflake without a day of downtime.",
                    "Wrote the ingestion framework in Python and dbt that 20 analysts use.",
                ),
            ),
            Job(
                "Data Engineer",
                "Pelican Logistics",
                "Providence, RI",
                "Jan 2016 - Sep 2019",
                (
                    "Streamed truck positions with Apache Kafka and Apache Flink.",
                    "Modelled the warehouse in SQL.",
                ),
            ),
        ),
        schools=(School("Charles River University", "BSc", "Information Systems", "2012 - 2015"),),
        skills=(
            "Python",
            "SQL",
            "dbt",
            "Snowflake",
            "Apache Kafka",
            "Apache Flink",
            "PostgreSQL",
            "Airflow",
            "Docker",
        ),
        languages=("English", "Yoruba"),
    ),
    Person(
        slug="claire-fontaine",
        language="en",
        file_format="docx",
        name="Claire Fontaine",
        headline="Frontend Engineer",
        email="claire.fontaine@post.example",
        phone="+33 1 99 00 12 34",
        place="Lyon, France",
        summary=(
            "Frontend engineer who measures pages on a cheap phone. Prefers HTML that works before the script "
            "arrives."
        ),
        jobs=(
            Job(
                "Frontend Engineer",
                "Maison Verte Online",
                "Lyon",
                "June 2021 - Present",
                (
                    "Rebuilt the shop with TypeScript and React; largest contentful paint fell from 4.1 s to 1.3 s.",
                    "Brought the checkout to WCAG 2.2 AA.",
                ),
            ),
            Job(
                "Web Developer",
                "Agence Rivage",
                "Grenoble",
                "September 2017 - May 2021",
                ("Built 25 sites with Vue.js and Node.js.", "Taught two interns, both hired."),
            ),
        ),
        schools=(School("Institut Polytechnique du Rhone", "MSc", "Software Engineering", "2015 - 2017"),),
        skills=(
            "TypeScript",
            "JavaScript",
            "React",
            "Vue.js",
            "Node.js",
            "HTML",
            "CSS",
            "Playwright",
            "Accessibility",
        ),
        languages=("French", "English"),
    ),
)
