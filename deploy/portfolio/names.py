"""Common given and family names, companies and cities: what the sample portfolio is made of."""

from typing import NamedTuple

GIVEN = {
    "pt": (
        "Ana", "Maria", "João", "José", "Antônio", "Francisca", "Carlos", "Paulo", "Adriana",
        "Juliana", "Márcia", "Fernanda", "Patrícia", "Aline", "Camila", "Bruno", "Lucas", "Rafael",
        "Marcelo", "Eduardo", "Rodrigo", "Felipe", "Gustavo", "Vanessa", "Letícia", "Beatriz",
        "Larissa", "Thiago", "Sandra", "Luciana", "Sebastião", "Raimundo", "Cláudia", "Simone",
        "Renata", "Daniela", "Vitória", "Mateus", "Gabriel", "Helena",
    ),
    "en": (
        "James", "Mary", "Robert", "Patricia", "John", "Jennifer", "Michael", "Linda", "David",
        "Elizabeth", "William", "Barbara", "Richard", "Susan", "Joseph", "Jessica", "Thomas",
        "Karen", "Christopher", "Sarah", "Daniel", "Lisa", "Matthew", "Nancy", "Anthony", "Sandra",
        "Mark", "Ashley", "Steven", "Emily", "Andrew", "Kimberly", "Joshua", "Donna", "Kevin",
        "Michelle", "Brian", "Carol", "Timothy", "Amanda",
    ),
    "es": (
        "María", "José", "Juan", "Guadalupe", "Luis", "Rosa", "Carlos", "Carmen", "Jorge", "Ana",
        "Miguel", "Martha", "Francisco", "Leticia", "Jesús", "Verónica", "Pedro", "Silvia",
        "Alejandro", "Yolanda", "Ricardo", "Teresa", "Fernando", "Elena",
    ),
}  # fmt: skip

FAMILY = {
    "pt": (
        "Silva", "Santos", "Oliveira", "Souza", "Rodrigues", "Ferreira", "Alves", "Pereira",
        "Lima", "Gomes", "Costa", "Ribeiro", "Martins", "Carvalho", "Almeida", "Lopes", "Soares",
        "Fernandes", "Vieira", "Barbosa", "Rocha", "Dias", "Nascimento", "Andrade", "Moreira",
        "Nunes", "Marques", "Machado", "Mendes", "Freitas", "Cardoso", "Ramos", "Gonçalves",
        "Santana", "Teixeira", "D'Ávila", "Conceição", "Araújo",
    ),
    "en": (
        "Smith", "Johnson", "Williams", "Brown", "Jones", "Miller", "Davis", "Wilson", "Anderson",
        "Thomas", "Taylor", "Moore", "Jackson", "Martin", "Lee", "Thompson", "White", "Harris",
        "Clark", "Lewis", "Robinson", "Walker", "Young", "Allen", "King", "Wright", "Scott",
        "Hill", "Green", "Adams", "Nelson", "Baker", "O'Brien", "Campbell", "Mitchell", "Carter",
    ),
    "es": (
        "García", "Hernández", "Martínez", "López", "González", "Pérez", "Rodríguez", "Sánchez",
        "Ramírez", "Cruz", "Flores", "Gómez", "Morales", "Vázquez", "Reyes", "Jiménez", "Torres",
        "Díaz", "Gutiérrez", "Mendoza", "Núñez", "Ortiz",
    ),
}  # fmt: skip

COMPANY_KINDS = {
    "pt": ("Mercadinho", "Padaria", "Oficina", "Confecções", "Transportes", "Papelaria"),
    "en": ("Plumbing", "Hardware", "Bakery", "Logistics", "Landscaping", "Auto Repair"),
    "es": ("Taquería", "Panadería", "Jardinería", "Limpieza", "Construcción"),
}


class City(NamedTuple):
    """A city with what the law asks of it, its telephone area codes, and how many live there."""

    country: str
    subdivision: str
    name: str
    zone: str
    area_codes: tuple[str, ...]
    weight: int


CITIES = {
    "BR": (
        City("BR", "SP", "São Paulo", "America/Sao_Paulo", ("11",), 30),
        City("BR", "SP", "Campinas", "America/Sao_Paulo", ("19",), 8),
        City("BR", "SP", "Santos", "America/Sao_Paulo", ("13",), 5),
        City("BR", "RJ", "Rio de Janeiro", "America/Sao_Paulo", ("21",), 18),
        City("BR", "RJ", "Campos dos Goytacazes", "America/Sao_Paulo", ("22",), 4),
        City("BR", "AM", "Manaus", "America/Manaus", ("92",), 14),
        City("BR", "ES", "Vitória", "America/Sao_Paulo", ("27",), 7),
        City("BR", "ES", "Cachoeiro de Itapemirim", "America/Sao_Paulo", ("28",), 3),
        City("BR", "MG", "Belo Horizonte", "America/Sao_Paulo", ("31",), 8),
        City("BR", "MT", "Cuiabá", "America/Cuiaba", ("65",), 3),
    ),
    "US": (
        City("US", "NY", "Albany", "America/New_York", ("518",), 12),
        City("US", "FL", "Orlando", "America/New_York", ("407",), 14),
        City("US", "MA", "Boston", "America/New_York", ("617",), 7),
        City("US", "IL", "Chicago", "America/Chicago", ("312", "773"), 14),
        City("US", "TX", "Dallas", "America/Chicago", ("214",), 14),
        City("US", "TX", "El Paso", "America/Denver", ("915",), 4),
        City("US", "CO", "Denver", "America/Denver", ("303",), 8),
        City("US", "AZ", "Phoenix", "America/Phoenix", ("602",), 9),
        City("US", "CA", "Los Angeles", "America/Los_Angeles", ("213", "310"), 18),
        City("US", "WA", "Seattle", "America/Los_Angeles", ("206",), 7),
    ),
}

EMAIL_DOMAINS = ("example.com", "example.net", "example.org")
